-- leave_office: let another worker take the office at once.
--
-- KEYS  1 office (ours)
-- ARGV  1 who
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("DEL", KEYS[1])
end
return 1
