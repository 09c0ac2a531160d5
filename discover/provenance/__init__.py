"""Where everything comes from, and whether it is still what it was: archives, audits, traces, backups, forks, replays."""
