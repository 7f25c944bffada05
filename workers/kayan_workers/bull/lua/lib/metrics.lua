-- count_finished(key, n, now, size): n more jobs in Bull's per-minute metrics.
--
-- `key` is a hash (count, prevTS, prevCount), `key`:data the list of per-minute counts, newest at the head, at most `size` long.
-- n jobs finished at one instant leave what n calls of Bull would (wire document 3.8.6).
local function count_finished(key, n, now, size)
  local count = redis.call("HINCRBY", key, "count", n) - n
  local previous = redis.call("HGET", key, "prevTS")
  if not previous then
    redis.call("HSET", key, "prevTS", now, "prevCount", 0)
    return
  end
  local minutes = math.min(math.floor(now / 60000) - math.floor(tonumber(previous) / 60000), size)
  if minutes <= 0 then
    return
  end
  local delta = count - tonumber(redis.call("HGET", key, "prevCount") or 0)
  local row = {delta}
  for i = 2, minutes do
    row[i] = 0
  end
  for first = 1, #row, 1000 do
    redis.call("LPUSH", key .. ":data", unpack(row, first, math.min(first + 999, #row)))
  end
  redis.call("LTRIM", key .. ":data", 0, size - 1)
  redis.call("HSET", key, "prevCount", count, "prevTS", now)
end
