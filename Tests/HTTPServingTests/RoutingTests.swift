import Testing

@testable import HTTPServing

@Suite struct RoutingTests {
    private static let table = RouteTable(
        ["/webhooks", "/webhooks/{id}", "/webhooks/stats", "/files/{path...}", "/{rest...}"].map { pattern in
            HTTPRoute("GET", pattern) { _ in HTTPResponse(status: 200) }
        } + [HTTPRoute("DELETE", "/webhooks/{id}") { _ in HTTPResponse(status: 204) }])

    @Test(arguments: [
        ("/webhooks", 0, [:]), ("/webhooks/a%20b", 1, ["id": "a b"]), ("/webhooks/stats", 2, [:]),
        ("/files/a/b%20c/", 3, ["path": "a/b%20c/"]), ("/files/", 3, ["path": ""]), ("/files", 3, ["path": ""]),
        ("/", 4, ["rest": ""]), ("/x/y", 4, ["rest": "x/y"]), ("/webhooks/", 4, ["rest": "webhooks/"]),
        ("/webhooks/%zz", 4, ["rest": "webhooks/%zz"]),
    ])
    func theMostExactPatternCounts(path: String, route: Int, parameters: [String: String]) {
        guard case .route(let found, let values) = Self.table.match(method: "GET", path: path) else {
            Issue.record("no route for \(path)")
            return
        }
        #expect(found == route)
        #expect(values == parameters)
    }

    @Test func anotherMethodIsTold() {
        guard case .otherMethods(let methods) = Self.table.match(method: "PUT", path: "/webhooks/1") else {
            Issue.record("a route was found")
            return
        }
        #expect(Set(methods) == ["GET", "DELETE"])
    }
}
