-- Counts one request under several limits: under all of them, or under none.
-- KEYS: for each limit its cell, then for each limit the cell of newcomers when there are too many.
-- ARGV: how many names the database may have; then for each limit the microseconds of one request and of the window.
-- {1, remaining...}, or {0, the first limit without room, microseconds until there is}.
-- A cell says how many microseconds of its window are used up, and since when (GCRA).
local most = tonumber(ARGV[1])
local count = #KEYS / 2
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = nil
local cells, answer = {}, {1}
for i = 1, count do
  local cost, window = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local name = KEYS[i]
  local cell = cells[name] or redis.call('GET', name)
  if not cell then
    if full == nil then
      full = redis.call('DBSIZE') >= most
    end
    if full then
      name = KEYS[count + i]
      cell = cells[name] or redis.call('GET', name)
    end
  end
  local used, since = 0, now
  if cell then
    used, since = struct.unpack('>dd', cell)
  end
  -- The server's clock may be set back; a cell never is.
  local at = math.max(now, since)
  used = math.max(0, used - (at - since))
  if used > window then
    -- The window was made shorter: the cell is as full as it can be now, and stays so although this request does not count.
    used = window
    redis.call('SET', name, struct.pack('>dd', used, at), 'PX', math.ceil(used / 1000) + 1)
  end
  used = used + cost
  if used > window then
    return {0, i - 1, math.ceil(used - window)}
  end
  cells[name] = struct.pack('>dd', used, at)
  cells[i] = {name, used}
  answer[i + 1] = math.floor((window - used) / cost)
end
for i = 1, count do
  local name, used = cells[i][1], cells[i][2]
  -- A cell whose allowance is whole says the same as no cell.
  redis.call('SET', name, cells[name], 'PX', math.ceil(used / 1000) + 1)
end
return answer
