-- hold: let everybody wait a moment, and longer each time it comes again soon.
--
-- KEYS  1 held       there while everybody waits
--       2 last_hold  how long the last one was, in ms; forgotten after a while
-- ARGV  1 first_ms  2 longest_ms  3 memory_ms
-- Returns how long this hold is in ms; 0 when one was in force already
if redis.call("EXISTS", KEYS[1]) == 1 then
  return 0
end
local last = tonumber(redis.call("GET", KEYS[2]))
local hold_ms = last and math.min(last * 2, tonumber(ARGV[2])) or tonumber(ARGV[1])
redis.call("SET", KEYS[1], "throttled", "PX", hold_ms)
redis.call("SET", KEYS[2], hold_ms, "PX", hold_ms + tonumber(ARGV[3]))
return hold_ms
