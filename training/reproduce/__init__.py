"""Both papers' tables and figures, for any data set: which trainings they take, and what is made of them."""
