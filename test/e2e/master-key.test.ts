import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { describe, test } from 'node:test'
import { keyFile } from '../../src/engine/secrets/master-key.js'
import { createApp, graphql } from '../support/client.js'
import { rotateMasterKey } from '../support/rotation.js'
import { Installation } from '../support/server.js'

/** More values than one transaction of a rotation takes. */
const MANY = 120

function keyLines({ dataDir }: Installation): number {
  return existsSync(keyFile(dataDir)) ? readFileSync(keyFile(dataDir), 'utf8').trim().split('\n').length : 0
}

describe('the key in DATA_DIR', () => {
  test('is made once, changed by one command that may be killed, and never made anew over what it closed', async () => {
    await using installation = await Installation.create()
    const { port } = installation
    const env = { ROLES: 'api' }
    const server = await installation.start(env)
    const variables = [...Array(MANY).keys()].map((index) => ({
      key: `MANY_${index}`,
      value: `value ${index}`,
    }))
    await createApp(port, { name: 'idle', repoUrl: 'https://git.invalid/none', variables, deploy: false })
    const fingerprints = async () => {
      const { app } = await graphql<{
        app: { stage: { variables: { key: string; fingerprint: string }[] } }
      }>(port, '{ app(name: "idle") { stage { variables { key fingerprint } } } }')
      return new Set(app.stage.variables.map(({ fingerprint }) => fingerprint))
    }
    const before = await fingerprints()
    assert.equal(before.size, MANY)
    await server.stop()
    const killed = rotateMasterKey(installation, { FAILPOINT: 'rotated-batch' })
    assert.equal(killed.signal, 'SIGKILL')
    assert.equal(keyLines(installation), 2)

    const between = await installation.start(env)
    assert.match(between.output, /rotate-master-key/)
    await between.stop()
    const done = rotateMasterKey(installation, {})
    assert.equal(done.code, 0, done.output)
    assert.equal(keyLines(installation), 1)

    const last = await installation.start(env)
    const current = await fingerprints()
    assert.equal(current.size, MANY)
    assert.ok([...current].every((print) => !before.has(print)))
    await last.stop()
    rmSync(keyFile(installation.dataDir))
    await assert.rejects(installation.start(env), /master-key is missing/)
    assert.equal(keyLines(installation), 0)
  })
})
