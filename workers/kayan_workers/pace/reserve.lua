-- reserve: the earliest moment at which `count` more may go, taken for the caller unless it is too far ahead.
--
-- At most `limit` fall into any window. The moments taken last are kept, as many as the limit counts: the next one comes a window
-- after the one that it pushes out. So a burst within the limit goes at once, and what comes on top waits in the order it asked.
-- More than the limit at once are spread over as many windows as they fill. All times are the server's own.
--
-- KEYS  1 limit    how many a second, 0 for any number; not there while nobody knows
--       2 asking   there while nobody need ask for the limit (anew)
--       3 taken    list of moments in ms, oldest first
--       4 held     there while everybody waits: `throttled` for a moment, or why nothing goes at all
-- ARGV  1 count  2 horizon_ms  how far ahead a moment may be taken  3 window_ms  for a limit of one or more  4 asking_ms
-- Returns {verdict, wait_ms, asks, why}
--   verdict  granted | full (wait_ms from now; nothing was taken) | unknown (no limit yet) | closed (for wait_ms)
--   asks     1: the caller shall find out the limit and write it down
--   why      it is closed; else ''
local call = redis.call
local limit, taken = call("GET", KEYS[1]), KEYS[3]
local count, horizon_ms, window_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local held_ms, why = math.max(call("PTTL", KEYS[4]), 0), call("GET", KEYS[4])
if held_ms > 0 and why ~= "throttled" then
  return {"closed", held_ms, 0, why}
end
local asks = call("SET", KEYS[2], "1", "NX", "PX", ARGV[4]) and 1 or 0
if not limit then
  return {"unknown", 0, asks, ""}
end
limit = tonumber(limit)

local clock = call("TIME")
local now = clock[1] * 1000 + clock[2] / 1000
local at = now + held_ms
if limit > 0 then
  local most = math.max(1, math.floor(limit))
  window_ms = window_ms * most / limit
  local pushed_out = call("LINDEX", taken, -(most - math.min(count, most) + 1))
  if pushed_out then
    at = math.max(at, tonumber(pushed_out) + window_ms)
  end
  local last = call("LINDEX", taken, -1)
  if last then
    at = math.max(at, tonumber(last))
  end
  if at - now <= horizon_ms then
    local final = at
    for n = 0, count - 1 do
      final = at + math.floor(n / most) * window_ms
      call("RPUSH", taken, string.format("%.3f", final))
    end
    call("LTRIM", taken, -most, -1)
    call("PEXPIRE", taken, math.ceil(final - now + window_ms))
  end
end
if at - now > horizon_ms then
  return {"full", math.ceil(at - now), asks, ""}
end
return {"granted", math.ceil(at - now), asks, ""}
