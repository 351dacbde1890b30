import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { containerOptions } from '../../src/engine/docker/container-options.js'
import { readContainer } from '../../src/engine/runtime-logs/container-reading.js'
import { type Engines, openEngines } from '../support/docker-engines.js'
import { writeTar } from '../support/fake-docker/tar.js'
import { ReadingLines } from '../support/reading-lines.js'
import { until } from '../support/server.js'

const LINES = 60_000
const MISSING = /^--- lines may be missing here/
const REQUEST = {
  command: null,
  image: '',
  name: '',
  env: [],
  labels: {},
  memoryBytes: 1e8,
  cpus: 1,
  pids: 9,
}

/** At a sign, twice what the engine keeps of a log at once; then a line now and then. */
const SCRIPT = [
  'echo 0; while [ ! -e /go ]; do busybox usleep 20000; done',
  `busybox awk 'BEGIN { s = sprintf("%1000s", ""); for (n = 1; n <= ${LINES}; n++) print n s }'`,
  `n=${LINES}; while :; do n=$((n+1)); echo $n; busybox usleep 300000; done`,
].join('\n')

describe('the log of a container whose files rotate while it is followed', () => {
  let engines: Engines
  before(async () => {
    engines = await openEngines()
  })
  after(() => engines[Symbol.asyncDispose]())

  test('is followed on; nothing comes twice, and what is missing is announced', async () => {
    const { real } = engines
    const name = `${real.mark}-rotates`
    const logConfig = containerOptions(REQUEST, '').HostConfig?.LogConfig
    assert.ok(logConfig)
    await real.create(name, SCRIPT, { logConfig })
    await real.call('POST', `/containers/${name}/start`)
    const outbox = new ReadingLines('d')
    const abort = new AbortController()
    const deployment = { id: 'd', containers: [name], secrets: [], until: null }
    const reading = readContainer(
      { docker: real.port('buildkit'), deployment, name, outbox },
      true,
      abort.signal,
    )
    await until(() => outbox.lines.length === 1)
    await real.call('PUT', `/containers/${name}/archive?path=/`, writeTar({ go: '' }))
    await until(() => Number(outbox.lines.at(-1)) > LINES + 3)
    abort.abort()
    await reading
    let last = -1
    let isAnnounced = false
    for (const line of outbox.lines) {
      if (MISSING.test(line)) {
        isAnnounced = true
        continue
      }
      assert.ok(Number(line) === last + 1 || (isAnnounced && Number(line) > last), `${line} after ${last}`)
      last = Number(line)
      isAnnounced = false
    }
  })
})
