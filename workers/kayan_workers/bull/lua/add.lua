-- add: put new jobs on the queue, in order, once.
--
-- Each job gets the next number of the queue's counter. That number is its id unless it brings one of its own. An id of its
-- own that exists makes the add a no-op (`duplicated`); a number whose hash exists (a custom id of digits, from elsewhere) is
-- skipped. A debounce id that is taken makes it a no-op too (`debounced`). Delayed jobs go to `delayed` under due * 4096 +
-- counter's low 12 bits, all others to the waiting list.
--
-- KEYS     1 id     bull:<queue>:id                            string, the counter
--          2 once   kayan:once:bull:<queue>:<producer>         string, the producer's last call and its result
-- ARGV     1 base   2 sequence    3 ttl_ms of `once`    4 token (of the channels' names)
--          5 jobs   MessagePack: a list of [name, data, opts, timestamp] or, where there is more to say,
--                   [name, data, opts, timestamp, {id, delay, due, priority, lifo, deid, ttl}]
-- Returns  MessagePack: a list with, per job, its number, or its own id, or [id] of the older job that made this a no-op
-- Wire     Bull 4.16.5, addJob; wire document 3.1, 3.3, W21, W22
local id_key, once_key = KEYS[1], KEYS[2]
local base, sequence, ttl_ms, token = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- include: push_waiting
-- include: push_many
-- include: new_job
-- include: once

local before = once(once_key, sequence)
if before then
  return before
end

local jobs = cmsgpack.unpack(ARGV[5])
local list = waiting_list(base)
redis.call("LLEN", list)  -- a key of the wrong type fails here, before anything is written
local counter = redis.call("INCRBY", id_key, #jobs) - #jobs
local result = {}

-- Numbers that somebody has taken as a custom id are seen in one look for all jobs.
local function any_number_is_taken()
  local keys = {}
  for i = 1, #jobs do
    keys[i] = base .. (counter + i)
  end
  return redis.call("EXISTS", unpack(keys)) > 0
end

local numbers_are_free = not any_number_is_taken()

local function free_number(number)
  while not numbers_are_free and redis.call("EXISTS", base .. number) == 1 do
    number = redis.call("INCR", id_key)
  end
  return number
end

-- Ids on their way to the list. A lifo job changes what the tail is, so whatever came before it goes first.
local entries = {}

local function push_entries()
  push_many(base, list, entries)
  for _, entry in ipairs(entries) do
    redis.call("PUBLISH", base .. "waiting@" .. token, entry[1])
  end
  entries = {}
end

-- The older job that owns the debounce id. A job that is gone owns nothing, unless the id was taken for a time of its own.
local function debounced_by(more, id)
  local key = base .. "de:" .. more.deid
  local function take(...)
    return redis.call("SET", key, id, unpack(more.ttl and { "PX", more.ttl, ... } or { ... }))
  end
  if take("NX") then
    return nil
  end
  local owner = redis.call("GET", key)
  if redis.call("EXISTS", base .. owner) == 0 and redis.call("PTTL", key) == -1 then
    take()
    return nil
  end
  return owner
end

local function existing(job, id, more)
  if more.id and redis.call("EXISTS", base .. id) == 1 then
    redis.call("PUBLISH", base .. "duplicated@" .. token, id)
    return id
  end
  local owner = more.deid and debounced_by(more, id)
  if owner then
    redis.call("PUBLISH", base .. "debounced@" .. token, owner)
    return owner
  end
end

local function add_plain(job, number)
  local id = free_number(number)
  write_job(base, id, job)
  entries[#entries + 1] = { id, 0 }
  return id
end

local function add_special(job, number, more)
  local id = more.id or free_number(number)
  local older = existing(job, id, more)
  if older then
    return { older }
  end
  local priority = more.priority or 0
  write_job(base, id, job)
  if more.due then
    delay_job(base, id, more.due, number)
  elseif more.lifo and priority == 0 then
    push_entries()
    redis.call("RPUSH", list, id)
    redis.call("PUBLISH", base .. "waiting@" .. token, id)
  else
    entries[#entries + 1] = { id, priority }
  end
  return id
end

for i, job in ipairs(jobs) do
  local number, more = counter + i, job[5]
  result[i] = more and add_special(job, number, more) or add_plain(job, number)
end
push_entries()

result = cmsgpack.pack(result)
done(once_key, sequence, ttl_ms, result)
return result
