"""For a teacher: a course folder for nbgrader, slides, and all it takes to install offline."""
