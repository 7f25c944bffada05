-- pause: stop all workers from taking jobs of this queue. Running jobs go on; added ones wait in `paused`.
--
-- KEYS     1 wait   any key of the queue, for the slot
-- ARGV     1 base
-- Returns  1
-- Wire     Bull 4.16.5, pause; wire document 3.17, W16
local base = ARGV[1]

-- include: push_waiting
-- include: push_many
-- include: merge_lists

if redis.call("EXISTS", base .. "paused") == 0 then
  if redis.call("EXISTS", base .. "wait") == 1 then
    redis.call("RENAME", base .. "wait", base .. "paused")
  end
else
  merge_into_paused(base)
end
redis.call("SET", base .. "meta-paused", 1)
redis.call("HSET", base .. "meta", "paused", 1)
redis.call("PUBLISH", base .. "paused", "paused")
return 1
