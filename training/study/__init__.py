"""A study: many trainings over one prepared data set, each made once and known by everything it depends on."""
