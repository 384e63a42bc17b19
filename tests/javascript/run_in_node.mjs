import { failures } from "./broker_behaviours.mjs"
import { act, report, told, WebSocket } from "./node_tools.mjs"

const { url, user, password } = told
await report(await failures(url, { user, password, WebSocket }, act))
