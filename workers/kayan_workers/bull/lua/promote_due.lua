-- promote_due: move delayed jobs whose time has come to where workers look.
--
-- KEYS  1 delayed
-- ARGV  1 base  2 events (suffix of the event channels)  3 now
-- Returns the lowest score left in `delayed`, or ''
-- Wire  Bull 4.16.5, updateDelaySet
-- include: promote_due
return promote_due(ARGV[1], ARGV[2], tonumber(ARGV[3])) or ""
