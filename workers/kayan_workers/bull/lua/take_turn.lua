-- take_turn: make sure that somebody may watch the queue.
--
-- Called when waiting for a turn was in vain, and once at start. The watcher key lives as long as a holder refreshes it; when it is
-- gone, or names a process this one has replaced, the turn was lost with its holder and a new one is issued. A former holder that
-- lives after all drops its turn, because it is no longer the current one.
--
-- KEYS  1 turn  2 watcher
-- ARGV  1 watcher_ms (life of the watcher key)  2 who (pod and process)  3 pod
-- Returns 1 when a turn was issued, else 0
local turn, watcher = KEYS[1], KEYS[2]
local holder = redis.call("GET", watcher)
if holder and holder ~= ARGV[2] and string.sub(holder, 1, #ARGV[3] + 1) ~= ARGV[3] .. "/" then
  return 0
end
if redis.call("LLEN", turn) > 0 then
  return 0
end
local current = redis.call("INCR", turn .. ":current")
redis.call("SET", watcher, ARGV[2], "PX", ARGV[1])
redis.call("RPUSH", turn, current)
return 1
