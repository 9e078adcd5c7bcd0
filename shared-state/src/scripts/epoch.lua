-- The epoch of this server. KEYS: epoch. ARGV: an id for a new epoch, milliseconds that its clock may leap.
-- Gives the id, or an error where this server can't be trusted to remember.
local info = redis.call('INFO', 'server') .. '\r\n' .. redis.call('INFO', 'replication') .. '\r\n' .. redis.call('INFO', 'memory')
local function field(name)
  return string.match('\n' .. info, '\n' .. name .. ':([^\r\n]*)') or ''
end
if field('role') ~= 'master' then
  return redis.error_reply('NOTMASTER this server is a replica')
end
if field('maxmemory') ~= '0' and field('maxmemory_policy') ~= 'noeviction' then
  return redis.error_reply('EVICTS this server may evict what is live: set maxmemory-policy noeviction')
end
local server = field('run_id') .. ':' .. field('master_replid')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'id', 'server', 'at')
local id = ARGV[1]
-- Somebody looks every second: between two looks there is more only where the clock was moved, or nobody was there.
if held[1] and held[2] == server and held[3] and math.abs(now - held[3]) <= tonumber(ARGV[2]) then
  id = held[1]
end
redis.call('HSET', KEYS[1], 'id', id, 'server', server, 'at', string.format('%.0f', now))
return id
