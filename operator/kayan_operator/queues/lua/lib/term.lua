-- term: fences belong to who leads. A leader that stood still while another took its place may believe for a moment that it leads still:
-- what it wants then is refused, since a later term of the same lease has been here.
--
-- The key outlives every fence by far, so where it has ended there is nothing left that an older term could spoil.
local TERM_MS = 600000

-- An error to return when the term is over, else nil.
local function outdated(key, term)
  local newest = tonumber(redis.call("GET", key) or "")
  if newest and newest > tonumber(term) then
    return redis.error_reply(string.format("OUTDATED term %s is over: fences belong to term %d now", term, newest))
  end
  redis.call("SET", key, term, "PX", TERM_MS)
end
