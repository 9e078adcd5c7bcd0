-- The epoch of this server. KEYS: epoch. ARGV: an id for a new epoch.
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
local held = redis.call('HMGET', KEYS[1], 'id', 'server')
if held[1] and held[2] == server then
  return held[1]
end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'server', server)
return ARGV[1]
