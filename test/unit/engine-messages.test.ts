import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import { followBuild } from '../../src/engine/docker/build-stream.js'
import {
  exitCodeOfStep,
  isFileNameError,
  isPausedError,
  isClippedNotice,
  isEndingError,
  isRemovalUnderWay,
  missingNetwork,
} from '../../src/engine/docker/engine-messages.js'
import { readEvents } from '../../src/engine/docker/events.js'
import type { DeployError } from '../../src/engine/errors.js'
import { SILENT } from '../support/build-output.js'

/** Who answered so: Debian's 20.10.24, or 29.7.2 with the containerd image store. */
type Engine = '20.10' | '29' | 'both'
type Row<T> = readonly [engine: Engine, what: string, message: string, read: T]

const TALKATIVE = '/bin/busybox sh -c echo "exit code: 3"; exit 7'
const OCI =
  'OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope": stat /nope: no such file or directory'

const BUILDS: readonly Row<number | null>[] = [
  [
    'both',
    'a step, classic',
    "The command '/bin/busybox sh -c echo boo; exit 7' returned a non-zero code: 7",
    7,
  ],
  [
    'both',
    'a step that talks of codes, classic',
    `The command '/bin/busybox sh -c echo "returned a non-zero code: 3"; exit 7' returned a non-zero code: 7`,
    7,
  ],
  ['20.10', 'a step', 'executor failed running [/bin/busybox sh -c echo boo; exit 7]: exit code: 7', 7],
  ['20.10', 'a step that talks of codes', `executor failed running [${TALKATIVE}]: exit code: 7`, 7],
  ['20.10', 'no such program', 'executor failed running [/nope]: exit code: 1', 1],
  [
    '29',
    'a step',
    'process "/bin/busybox sh -c echo boo; exit 7" did not complete successfully: exit code: 7',
    7,
  ],
  [
    '29',
    'a step that talks of codes',
    `process ${JSON.stringify(TALKATIVE)} did not complete successfully: exit code: 7`,
    7,
  ],
  ['29', 'no such program', 'process "/nope" did not complete successfully: exit code: 1', 1],
  ['20.10', 'no such program, classic', `failed to create shim task: ${OCI}: unknown`, null],
  ['29', 'no such program, classic', `failed to create task for container: ${OCI}`, null],
  ['20.10', 'no Dockerfile', 'dockerfile parse error line 1: unknown instruction: FRUM', null],
  [
    '29',
    'no Dockerfile',
    'dockerfile parse error on line 1: unknown instruction: FRUM (did you mean FROM?)',
    null,
  ],
  [
    '20.10',
    'no such stage',
    'failed to solve with frontend dockerfile.v0: failed to create LLB definition: target stage moon could not be found',
    null,
  ],
  ['29', 'no such stage', 'target stage "moon" could not be found', null],
  ['20.10', 'no such file', 'failed to compute cache key: "/nope" not found: not found', null],
  [
    '29',
    'no such file',
    'failed to compute cache key: failed to calculate checksum of ref 2xnq::ofbv: "/nope": not found',
    null,
  ],
  ['20.10', 'no name', 'invalid reference format: repository name must be lowercase', null],
  ['29', 'no name', 'invalid reference format: repository name (library/UPPER) must be lowercase', null],
]

/** As dockerode hands them on: behind the status. */
const STARTS: readonly Row<{ network: string | null; paused: boolean }>[] = [
  [
    'both',
    'a paused container',
    '(HTTP code 409) unexpected - cannot start a paused container, try unpause instead ',
    { network: null, paused: true },
  ],
  [
    '20.10',
    'no network',
    '(HTTP code 404) no such container - network longshore not found ',
    { network: 'longshore', paused: false },
  ],
  [
    '29',
    'no network',
    '(HTTP code 404) no such container - failed to set up container networking: network longshore not found ',
    { network: 'longshore', paused: false },
  ],
  [
    '20.10',
    'two networks',
    '(HTTP code 400) unexpected - network longshore is ambiguous (2 matches found on name) ',
    { network: 'longshore', paused: false },
  ],
  [
    '20.10',
    'no such program',
    `(HTTP code 400) unexpected - ${OCI}: unknown `,
    { network: null, paused: false },
  ],
  [
    '29',
    'no such program',
    `(HTTP code 400) unexpected - failed to create task for container: ${OCI} `,
    { network: null, paused: false },
  ],
]

const ATTRIBUTES = '"image":"longshore-test/busybox:local","longshore.version":"1","name":"web"'
const event = (legacy: boolean, action: string, more = '') => {
  const old = legacy ? `"status":"${action}","id":"68ab","from":"longshore-test/busybox:local",` : ''
  return `{${old}"Type":"container","Action":"${action}","Actor":{"ID":"68ab","Attributes":{${more}${ATTRIBUTES}}},"scope":"local","time":1796062078,"timeNano":1796062078610838300}\n`
}

/** Of a container that becomes healthy and is stopped; 29 tells of the stop before the end or after it. */
const EVENTS: readonly Row<readonly string[]>[] = [
  [
    '20.10',
    'start to stop',
    event(true, 'start') +
      event(true, 'exec_create: /bin/busybox true', '"execID":"c33f",') +
      event(true, 'exec_die', '"execID":"c33f","exitCode":"0",') +
      event(true, 'health_status: healthy') +
      event(true, 'kill', '"signal":"15",') +
      event(true, 'die', '"exitCode":"143",') +
      event(true, 'stop'),
    ['start', 'health_status: healthy', 'kill', 'die 143', 'stop'],
  ],
  [
    '29',
    'start to stop',
    event(false, 'start') +
      event(false, 'exec_create: /bin/busybox true', '"execID":"fbf0",') +
      event(false, 'exec_die', '"execID":"fbf0","exitCode":"0",') +
      event(false, 'health_status: healthy') +
      event(false, 'kill', '"signal":"15",') +
      event(false, 'stop') +
      event(false, 'die', '"execDuration":"2","exitCode":"143",'),
    ['start', 'health_status: healthy', 'kill', 'stop', 'die 143'],
  ],
]

/** What one of several that remove a container at the same time hears. */
const REMOVALS: readonly Row<'under way' | 'ending' | null>[] = [
  ['both', 'a removal', 'removal of container longshore-rec is already in progress', 'under way'],
  [
    '20.10',
    'an update',
    'Cannot update container 0123: container is marked for removal and cannot be "update"',
    'under way',
  ],
  ['20.10', 'an update of one that went', 'Cannot update container 0123: no such container', 'under way'],
  [
    '20.10',
    'an update of one that ends',
    'Cannot update container 0123: cannot update a deleted process: unknown',
    'ending',
  ],
  [
    '20.10',
    'an update of one that has ended',
    'Cannot update container 0123: cannot update a stopped container: unknown',
    'ending',
  ],
  [
    '20.10',
    'an update of one whose process has just gone',
    'Cannot update container 0123: runc did not terminate successfully: exit status 1: container not running\n: unknown',
    'ending',
  ],
  [
    '29',
    'an update of one that has ended',
    'Cannot update container 0123: cannot update a stopped container',
    'ending',
  ],
  ['both', 'something else', 'conflict: unable to remove it', null],
]

const CLIPPED: readonly Row<boolean>[] = [
  ['20.10', 'too fast', '78901\n[output clipped, log limit 200KiB/s reached]\n', true],
  ['29', 'too fast', '345\n[output clipped, log limit 200KiB/s reached]\n', true],
  ['both', 'all of it', 'output clipped\n', false],
]

describe('what is read in the words of engines', () => {
  for (const [engine, what, message, code] of BUILDS) {
    test(`a build that fails, ${engine}: ${what}`, async () => {
      assert.equal(exitCodeOfStep(message), code)
      const lines = [{ stream: 'what it wrote\n' }, { errorDetail: { message }, error: message }]
      const sent = Buffer.from(lines.map((one) => JSON.stringify(one)).join('\n'))
      await assert.rejects(followBuild(Readable.from([sent]), SILENT), (error: DeployError) => {
        assert.deepEqual([error.code, error.exitCode], ['BUILD_FAILED', code])
        // Behind the code of a step the reason is in what it wrote, otherwise in the message.
        const hint = code === null ? '' : '; see the last lines'
        assert.equal(error.message, `docker build failed: ${message}${hint}`)
        return true
      })
    })
  }

  for (const [engine, what, message, read] of STARTS) {
    test(`a start that fails, ${engine}: ${what}`, () =>
      assert.deepEqual({ network: missingNetwork(message), paused: isPausedError(message) }, read))
  }

  for (const [engine, what, lines, read] of EVENTS) {
    test(`events, ${engine}: ${what}`, async () => {
      const found: string[] = []
      for await (const { action, name, labels } of readEvents(Readable.from([Buffer.from(lines)]))) {
        assert.equal(name, 'web')
        found.push(labels.exitCode ? `${action} ${labels.exitCode}` : action)
      }
      assert.deepEqual(found, read)
    })
  }

  for (const [engine, what, message, read] of REMOVALS) {
    test(`a removal beside another one, ${engine}: ${what}`, () => {
      const found = isRemovalUnderWay(message) ? 'under way' : isEndingError(message) ? 'ending' : null
      assert.equal(found, read)
    })
  }

  for (const [engine, what, output, read] of CLIPPED) {
    test(`a step's output, ${engine}: ${what}`, () =>
      assert.equal(isClippedNotice(Buffer.from(output)), read))
  }

  test('a context with a name that is not UTF-8, 29', () => {
    const said = 'rpc error: code = Internal desc = grpc: failed to unmarshal the received message: '
    assert.ok(isFileNameError(`docker build failed: ${said}string field contains invalid UTF-8`))
    assert.ok(!isFileNameError('docker build failed: invalid UTF-8 in a program'))
  })
})
