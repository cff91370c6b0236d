/// What the paths work on.
enum Sample {
    /// The body of `POST /events` with about so many bytes: an order with its lines.
    static func eventBody(bytes: Int) -> [UInt8] {
        var body = #"{"type":"order.created","source":"/shop/berlin","id":"ord-20261121-0000042","data":{"order":42,"#
        body += #""customer":{"name":"Grace Hopper","email":"grace@example.com"},"currency":"EUR","lines":["#
        var line = 0
        while body.utf8.count + 120 < bytes || line == 0 {
            if line > 0 { body += "," }
            body +=
                #"{"sku":"SKU-\#(100_000 + line)","title":"Espresso machine, \u00fcber","quantity":\#(line % 9 + 1),"price":129.90}"#
            line += 1
        }
        body += #"],"note":""#
        body += String(repeating: "n", count: max(0, bytes - body.utf8.count - 3)) + #""}}"#
        return Array(body.utf8)
    }

    /// The sizes that the system is measured with.
    static let sizes: [(name: String, bytes: Int, operations: Int)] = [
        ("500B", 500, 20_000), ("2KB", 2_000, 10_000), ("50KB", 50_000, 1_000),
    ]
}
