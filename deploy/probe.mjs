// Health of the service in this container: exit 0 when it serves.
const response = await fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).catch(() => undefined)
process.exitCode = response?.ok ? 0 : 1
