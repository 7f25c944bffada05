-- retain(base, set, keep_count, keep_age_ms, now): forget finished jobs beyond what the policy keeps.
--
-- keep_count < 0 and keep_age_ms < 0 mean no limit. Deletes hash and logs of every job that goes. Applies to the whole set,
-- whatever policy the other jobs carried (wire document 3.8.5). A thousand jobs a call at most: what is left goes next time.
local function forget_finished(base, set, ids)
  for first = 1, #ids, 1000 do
    local last = math.min(first + 999, #ids)
    local keys = {}
    for i = first, last do
      keys[#keys + 1] = base .. ids[i]
      keys[#keys + 1] = base .. ids[i] .. ":logs"
    end
    redis.call("UNLINK", unpack(keys))
    redis.call("ZREM", set, unpack(ids, first, last))
  end
end

local function retain(base, set, keep_count, keep_age_ms, now)
  if keep_age_ms >= 0 then
    forget_finished(base, set, redis.call("ZRANGEBYSCORE", set, "-inf", now - keep_age_ms, "LIMIT", 0, 1000))
  end
  if keep_count > 0 then
    local surplus = redis.call("ZCARD", set) - keep_count
    if surplus > 0 then
      local oldest = redis.call("ZPOPMIN", set, math.min(surplus, 1000))
      local keys = {}
      for i = 1, #oldest, 2 do
        keys[i] = base .. oldest[i]
        keys[i + 1] = keys[i] .. ":logs"
      end
      redis.call("UNLINK", unpack(keys))
    end
  end
end
