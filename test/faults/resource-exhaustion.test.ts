import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { runStarved } from '../support/starved.js'

describe('a process without descriptors left', () => {
  const app = createServer((_incoming, response) => response.end('ok'))
  let port = ''

  before(async () => {
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    port = String((app.address() as AddressInfo).port)
  })
  after(() => app.close().closeAllConnections())

  test('knows nothing of an app that it cannot probe', async () => {
    const found = (await runStarved('probes', port)) as Record<
      string,
      { isHealthy: boolean; hasRun: boolean }[]
    >
    const facts = (name: string) => found[name]?.map(({ isHealthy, hasRun }) => ({ isHealthy, hasRun }))
    assert.deepEqual(facts('starved'), Array(2).fill({ isHealthy: false, hasRun: false }))
    assert.deepEqual(facts('fed'), Array(2).fill({ isHealthy: true, hasRun: true }))
  })

  test('does not take traffic from a new version', async () => {
    const said = (await runStarved('watch', port)) as string[]
    assert.equal(said.length, 4)
    for (const line of said)
      assert.match(line, /^could not watch a new version: .*short of resources.*EMFILE/)
  })

  test('has a request wait, and says that it is the server that is at its limit', async () => {
    const { first, second } = (await runStarved('router', port)) as Record<string, string>
    assert.match(first ?? '', /^HTTP\/1\.1 503 [^]*\r\nretry-after: 1\r\n[^]*at its limit/i)
    assert.match(second ?? '', /^HTTP\/1\.1 200 /)
  })

  test('does not say that the router fails to reach a deployment', async () => {
    assert.deepEqual(await runStarved('reached'), [null, null])
  })

  test('says what it is when Docker cannot be asked', async () => {
    assert.equal(await runStarved('docker'), 'OUT_OF_RESOURCES')
  })

  test('knows a git that it cannot start from one that fails', async () => {
    assert.equal(await runStarved('git'), true)
  })
})
