import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ForgeClient } from '../../src/engine/forges/forge-client.js'
import { postStatus } from '../../src/engine/webhooks/statuses.js'
import { Forge } from '../../src/entities/webhook-delivery.js'

const STATUS = {
  sha: 'a'.repeat(40),
  state: 'success',
  context: 'c',
  description: 'd',
  targetUrl: 'u',
} as const

test('a forge that never answers is given up in time, whatever is collected as garbage meanwhile', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  using forges = new ForgeClient(null, {})
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const apiUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const target = { forge: Forge.GITEA, apiUrl, repository: 'a/b', token: 't' }
  // Ends the wait of a status that is waited for without end.
  const never = new AbortController()
  const late = setTimeout(() => never.abort(new Error('it is still waited for')), 20_000)
  const collecting = setInterval(collect, 20)
  try {
    await assert.rejects(
      postStatus(forges, { target, status: STATUS }, { signal: never.signal, timeoutMs: 500 }),
      /^ForgeError: no answer within 0.5 s$/,
    )
  } finally {
    clearInterval(collecting)
    clearTimeout(late)
    silent.closeAllConnections()
    silent.close()
  }
})
