-- has_lost(job, token, late): whether the worker with this token has lost the job, and must say nothing more about it.
--
-- No token: an administrator, who may always. `late`: the call is sent for the second time, because the server did not know the script;
-- said in time, it may arrive when its worker has finished the job and let the lock go.
local function has_lost(job, token, late)
  if not token then
    return false
  end
  local holder = redis.call("GET", job .. ":lock")
  return holder ~= token and (holder or not late)
end
