import Glibc

/// What the receiver needs of a request, taken from its bytes without building anything.
struct DeliveredRequest {
    /// Of the whole request, in bytes.
    let length: Int
    let target: UnsafeRawBufferPointer
    let body: UnsafeRawBufferPointer

    enum Reading {
        case incomplete
        case malformed
        case request(DeliveredRequest)
    }

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard let base = bytes.baseAddress, let end = bytes.firstIndex(of: "\r\n\r\n") else {
            return bytes.count > 64 << 10 ? .malformed : .incomplete
        }
        let bodyStart = end + 4
        let head = UnsafeRawBufferPointer(rebasing: bytes[..<bodyStart])
        let length = bodyStart + (AnswerHead.contentLength(head) ?? 0)
        guard length <= bytes.count else { return .incomplete }
        guard let first = memchr(base, 32, bodyStart) else { return .malformed }
        let start = base.distance(to: UnsafeRawPointer(first)) + 1
        guard let second = memchr(base + start, 32, bodyStart - start) else { return .malformed }
        let target = UnsafeRawBufferPointer(
            start: base + start, count: (base + start).distance(to: UnsafeRawPointer(second)))
        return .request(
            DeliveredRequest(
                length: length, target: target, body: UnsafeRawBufferPointer(rebasing: bytes[bodyStart..<length])))
    }

    /// The number of the webhook that a path such as `/w/000042` names; nil for any other path.
    var hook: Int? {
        guard target.count > 3, target[1] == UInt8(ascii: "w"), target[2] == UInt8(ascii: "/") else { return nil }
        return AnswerHead.digits(UnsafeRawBufferPointer(rebasing: target[3...]))
    }

    /// What the generator wrote into the event.
    var numbers: (run: Int, event: Int, due: UInt64)? {
        guard let found = body.firstIndex(of: #"{"run":""#) else { return nil }
        let start = found + 8
        // 4 digits, ","number":", 12 digits, ","sent":", 20 digits: see RequestTemplate.
        guard body.count >= start + 4 + 12 + 12 + 10 + 20 else { return nil }
        func number(_ offset: Int, _ width: Int) -> Int? {
            AnswerHead.digits(UnsafeRawBufferPointer(rebasing: body[start + offset..<start + offset + width]))
        }
        guard let run = number(0, 4), let event = number(16, 12), let due = number(38, 20) else { return nil }
        return (run, event, UInt64(due))
    }
}
