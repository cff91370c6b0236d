/// One request's bytes, of which only digits change: building a request is writing numbers into it.
///
///     POST /events HTTP/1.1 … {"id":"b0001-000000000042","type":"bench.t000000","source":"bench","data":{"run":"0001","number":"000000000042","sent":"…","padding":"…"}}
struct RequestTemplate {
    /// Where one event's digits lie.
    private struct Places {
        var id: Int?
        var type: Int
        var number: Int
        var sent: Int
    }

    private(set) var bytes: [UInt8]
    private var places: [Places] = []
    private let types: Int
    private let firstNumber: Int

    init(_ plan: LoadPlan) {
        types = plan.types
        firstNumber = plan.firstNumber
        var body: [UInt8] = []
        var places: [Places] = []
        if plan.batch > 1 { body.append(UInt8(ascii: "[")) }
        for index in 0..<plan.batch {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            places.append(Self.append(plan, to: &body))
        }
        if plan.batch > 1 { body.append(UInt8(ascii: "]")) }
        let head = """
            POST \(plan.batch > 1 ? "/events/batch" : "/events") HTTP/1.1\r
            host: 127.0.0.1:\(plan.port)\r
            content-type: application/json\r
            content-length: \(body.count)\r
            \r

            """
        bytes = Array(head.utf8) + body
        let offset = head.utf8.count
        self.places = places.map {
            Places(
                id: $0.id.map { $0 + offset }, type: $0.type + offset, number: $0.number + offset,
                sent: $0.sent + offset)
        }
    }

    private static func append(_ plan: LoadPlan, to body: inout [UInt8]) -> Places {
        let start = body.count
        func add(_ text: String) { body.append(contentsOf: text.utf8) }
        func digits(_ count: Int) -> Int {
            body.append(contentsOf: [UInt8](repeating: UInt8(ascii: "0"), count: count))
            return body.count - count
        }
        var places = Places(id: nil, type: 0, number: 0, sent: 0)
        add("{")
        if plan.hasIDs {
            add(#""id":"b\#(padded(plan.run, 4))-"#)
            places.id = digits(12)
            add(#"","#)
        }
        add(#""type":"bench.t"#)
        places.type = digits(6)
        add(#"","source":"bench","data":{"run":"\#(padded(plan.run, 4))","number":""#)
        places.number = digits(12)
        add(#"","sent":""#)
        places.sent = digits(20)
        add(#"","padding":""#)
        let rest = plan.eventBytes - (body.count - start) - 3
        add(String(repeating: "x", count: max(0, rest)))
        add(#""}}"#)
        return places
    }

    /// Writes the events of a request into it.
    /// - Parameters:
    ///   - request: counted from 0.
    ///   - due: monotonic nanoseconds.
    mutating func set(request: Int, due: UInt64) {
        let first = request * places.count
        bytes.withUnsafeMutableBufferPointer { bytes in
            for (index, place) in places.enumerated() {
                let number = first + index
                if let id = place.id { Self.write(UInt64(firstNumber + number), 12, at: id, bytes) }
                if types > 1 { Self.write(UInt64((firstNumber + number) % types), 6, at: place.type, bytes) }
                Self.write(UInt64(firstNumber + number), 12, at: place.number, bytes)
                Self.write(due, 20, at: place.sent, bytes)
            }
        }
    }

    private static func write(_ value: UInt64, _ width: Int, at start: Int, _ bytes: UnsafeMutableBufferPointer<UInt8>)
    {
        var value = value
        var position = start + width - 1
        while position >= start {
            bytes[position] = UInt8(ascii: "0") + UInt8(value % 10)
            value /= 10
            position -= 1
        }
    }
}
