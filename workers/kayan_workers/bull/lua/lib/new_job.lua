-- write_job(base, id, job): a new job's hash. job is [name, data, opts, timestamp, more], see add.lua.
-- delay_job(base, id, due, number): put it among the delayed ones; jobs due in the same ms run in the order of their numbers.
local function write_job(base, id, job)
  local more = job[5] or {}
  redis.call("HSET", base .. id, "name", job[1], "data", job[2], "opts", job[3], "timestamp", job[4],
    "delay", more.delay or "0", "priority", more.priority or 0)
  if more.deid then
    redis.call("HSET", base .. id, "deid", more.deid)
  end
end

local function delay_job(base, id, due, number)
  redis.call("ZADD", base .. "delayed", due * 4096 + number % 4096, id)
  redis.call("PUBLISH", base .. "delayed", due)
end
