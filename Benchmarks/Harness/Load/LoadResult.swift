import JSONScanning
import Metrics

/// What the generator saw.
struct LoadResult: Sendable {
    /// Events, not requests.
    var sent = 0
    var accepted = 0
    /// By status; 0: no answer.
    var refused: [Int: Int] = [:]
    /// Events of requests without a 202: they may have been accepted or not.
    var unaccepted: [Int] = []
    /// Nanoseconds from when a request was due to its 202.
    var latency = HdrHistogram()
    var seconds = 0.0
    var cpuSeconds = 0.0

    mutating func answered(_ status: Int, request: Int, plan: LoadPlan) {
        if status == 202 {
            accepted += plan.batch
        } else {
            refused[status, default: 0] += plan.batch
            let first = plan.firstNumber + request * plan.batch
            unaccepted.append(contentsOf: first..<first + plan.batch)
        }
    }

    var json: String {
        jsonText { writer in
            writer.member("sent", sent)
            writer.member("accepted", accepted)
            writer.key("refused")
            writer.object { writer in for (status, count) in refused { writer.member("\(status)", count) } }
            writer.key("unaccepted")
            writer.array { writer in for number in unaccepted { writer.integer(number) } }
            writer.key("latency")
            latency.write(to: &writer)
            writer.key("seconds")
            writer.double(seconds)
            writer.key("cpu_seconds")
            writer.double(cpuSeconds)
        }
    }
}

/// One JSON object.
func jsonText(_ body: (inout JSONWriter) -> Void) -> String {
    var writer = JSONWriter()
    writer.object(body)
    return String(decoding: writer.bytes, as: UTF8.self)
}
