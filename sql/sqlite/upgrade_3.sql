-- From schema 3 to 4: a POST that is much work is applied in several turns, and goes on where it was should its process die.
ALTER TABLE polling ADD COLUMN posting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE polling ADD COLUMN posted INTEGER NOT NULL DEFAULT 0;
