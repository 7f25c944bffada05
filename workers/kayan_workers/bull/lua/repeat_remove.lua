-- repeat_remove: end a schedule and drop its pending iteration.
--
-- KEYS     1 wait        any key of the queue, for the slot
--          2 schedules   kayan:schedules:bull:<queue>
-- ARGV     1 base   2 repeat_key   3… prefixes of the iteration's id (several where the key can be read in several ways)
-- Returns  1 removed, 0 there was no such schedule
-- Wire     Bull 4.16.5, removeRepeatable; wire document 3.19
local base, repeat_key = ARGV[1], ARGV[2]
local score = redis.call("ZSCORE", base .. "repeat", repeat_key)
redis.call("HDEL", KEYS[2], repeat_key)
if not score then
  return 0
end
for i = 3, #ARGV do
  local id = ARGV[i] .. score
  if redis.call("ZREM", base .. "delayed", id) == 1 then
    redis.call("UNLINK", base .. id, base .. id .. ":logs")
  end
end
redis.call("ZREM", base .. "repeat", repeat_key)
return 1
