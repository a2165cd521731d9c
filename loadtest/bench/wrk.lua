-- wrk's part: sends prepared requests in turn and prints one JSON line.
--   wrk ... -s wrk.lua URL -- FOLDER COUNT      FOLDER/0.http ... FOLDER/(COUNT - 1).http, whole requests
local requests = {}
local turn = 0

function init(args)
  for number = 0, tonumber(args[2]) - 1 do
    local file = assert(io.open(args[1] .. "/" .. number .. ".http", "rb"))
    requests[#requests + 1] = file:read("*a")
    file:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "p50_us": %d, "p90_us": %d, "p99_us": %d, "max_us": %d, "mean_us": %.1f, ' ..
    '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max, latency.mean, errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
