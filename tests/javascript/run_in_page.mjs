import { failures } from "./broker_behaviours.mjs"

const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) })
const { url, user, password } = Object.fromEntries(new URLSearchParams(location.search))
window.onunhandledrejection = ({ reason }) => post("/report", { failed: { unhandled: String(reason) } })
await post("/report", await failures(url, { user, password }, (name) => post(`/do/${name}`)))
