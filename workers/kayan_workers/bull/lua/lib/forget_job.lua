-- forget_job(base, schedules, id, keep_timed_debounce): delete a job that has been taken off its list, and all that names it.
--
-- Besides hash and logs: its place in the priority index, the debounce id it owns, its place in the limiter. The pending
-- iteration of a schedule leaves a copy in `schedules`, or the schedule would end with it.
local ITERATION = "^repeat:"

-- What is needed to go on with the schedule that this iteration belongs to.
local function keep_copy(base, schedules, id)
  local fields = redis.call("HMGET", base .. id, "name", "data", "opts")
  local read, opts = pcall(cjson.decode, fields[3] or "")
  if not read or type(opts) ~= "table" or type(opts["repeat"]) ~= "table" or type(opts["repeat"].key) ~= "string" then
    return
  end
  local repeat_key = opts["repeat"].key
  local next_ms = tonumber(redis.call("ZSCORE", base .. "repeat", repeat_key) or nil)
  if next_ms then
    local copy = cjson.encode({ name = fields[1] or "__default__", data = fields[2] or "{}", opts = fields[3] })
    redis.call(next_ms == opts.prevMillis and "HSET" or "HSETNX", schedules, repeat_key, copy)
  end
end

local function release_owned_debounce(base, id, keep_timed)
  local debounce_id = redis.call("HGET", base .. id, "deid")
  if not debounce_id then
    return
  end
  local key = base .. "de:" .. debounce_id
  if redis.call("GET", key) == id and not (keep_timed and redis.call("PTTL", key) > 0) then
    redis.call("DEL", key)
  end
end

local function leave_limiter(base, id)
  local index = base .. "limiter:index"
  local parked = redis.call("HGET", index, id)
  if parked then
    redis.call("SREM", parked, id)
    redis.call("HDEL", index, id)
  end
end

local function forget_job(base, schedules, id, keep_timed_debounce)
  if string.find(id, ITERATION) then
    keep_copy(base, schedules, id)
  end
  release_owned_debounce(base, id, keep_timed_debounce)
  leave_limiter(base, id)
  redis.call("ZREM", base .. "priority", id)
  redis.call("UNLINK", base .. id, base .. id .. ":logs")
end
