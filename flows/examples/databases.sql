-- run once by the image of PostgreSQL, in the database `prefect`
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE DATABASE campaigns;
