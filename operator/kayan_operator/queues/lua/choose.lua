-- choose: who is busy, and in the same step a fence for some of those who are not.
--
-- A pod is busy while a job in one of the `active` lists is locked under a token of its own, <pod>/<random>; a token without a slash is
-- Node's and stands for no pod. Workers claim in one step too and look for their fence in it (settle.lua), so whoever is found idle and
-- fenced here holds no job and gets none.
--
-- KEYS     1…q actives        bull:<queue>:active of every queue that these pods serve
-- ARGV     1 want             how many pods to fence; 0 only reads
--          2 ttl_ms           how long a fence stands
--          3 first, 4 last    which part of each list is read: 0 and -1 for the whole; anything else only with a want of 0
--          5 heads            how many names a fence begins with (one for each hash tag of the queues), then these names
--          …                  q bases bull:<queue>:, then the candidates, the first to go first
-- Returns  {fenced, busy, now_ms, longest}
--   fenced   pods
--   busy     flat: pod, its jobs, when its oldest started in Unix ms by the clock of the worker (-1 unknown)
--   longest  the longest part that was read
local call, ARGV = redis.call, ARGV
local want, ttl_ms, first, last, heads = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local bases, candidates = 5 + heads, 5 + heads + #KEYS
local AT_ONCE = 1000

local pods, jobs, oldest, longest = {}, {}, {}, 0

local function started_at(job)
  local moment = redis.pcall("HGET", job, "processedOn")
  return type(moment) == "string" and tonumber(moment) or nil
end

-- The head of the list is the newest job, so of each pod the one that is seen first from the tail started first.
local function count_jobs(active, base)
  local ids, seen = call("LRANGE", active, first, last), {}
  longest = math.max(longest, #ids)
  for from = #ids, 1, -AT_ONCE do
    local locks, count = {}, 0
    for i = from, math.max(from - AT_ONCE + 1, 1), -1 do
      count = count + 1
      locks[count] = base .. ids[i] .. ":lock"
    end
    local holders = call("MGET", unpack(locks))
    for i = 1, count do
      local holder = holders[i]
      local slash = holder and string.find(holder, "/", 1, true)
      if slash then
        local pod = string.sub(holder, 1, slash - 1)
        if not jobs[pod] then
          pods[#pods + 1] = pod
          jobs[pod] = 0
        end
        jobs[pod] = jobs[pod] + 1
        if not seen[pod] then
          seen[pod] = true
          local started = started_at(base .. ids[from - i + 1])
          if started and started < (oldest[pod] or math.huge) then
            oldest[pod] = started
          end
        end
      end
    end
  end
end

for q = 1, #KEYS do
  count_jobs(KEYS[q], ARGV[bases + q])
end

local fenced = {}
for n = candidates + 1, #ARGV do
  if #fenced >= want then
    break
  end
  if not jobs[ARGV[n]] then
    fenced[#fenced + 1] = ARGV[n]
    for head = 6, 5 + heads do
      call("SET", ARGV[head] .. ARGV[n], "scale-in", "PX", ttl_ms)
    end
  end
end

local busy = {}
for i = 1, #pods do
  busy[3 * i - 2], busy[3 * i - 1], busy[3 * i] = pods[i], jobs[pods[i]], oldest[pods[i]] or -1
end
local time = call("TIME")
return {fenced, busy, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000), longest}
