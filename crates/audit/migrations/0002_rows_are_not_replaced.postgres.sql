-- PostgreSQL has no REPLACE; its triggers of the first migration see everything.
SELECT 1;
