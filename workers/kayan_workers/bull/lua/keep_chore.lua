-- keep_chore: hold an office of the queue, or leave it.
--
-- KEYS  1 office (ours)
-- ARGV  1 who  2 office_ms, 0 to leave
-- Returns 1 when `who` holds it now, else 0
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == "0" then
  redis.call("DEL", KEYS[1])
  return 0
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1
