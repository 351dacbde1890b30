import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ended, killTree, type RunOptions, runProgram, startProgram } from '../../src/process.js'

const scratch = mkdtempSync(join(tmpdir(), 'process-'))
after(() => rmSync(scratch, { recursive: true, force: true }))

const shell = (script: string, options: RunOptions = {}, signal?: AbortSignal) =>
  runProgram('sh', ['-c', script], { ...options, signal })

/** Runs, too: a zombie that nobody has waited for yet does not. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until<T>(what: () => T | undefined | false): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = what()
    if (found) return found
    await sleep(20)
  }
  return assert.fail('waited 4 s in vain')
}

let files = 0

/**
 * Aborts a script once it has written its grandchild's pid to `$PID_FILE`; gives how the run ended, and whether the
 * grandchild was alive then. Whatever happens, the grandchild is gone afterwards.
 */
async function aborted(script: string): Promise<{ outcome: string; leftAlive: boolean; ms: number }> {
  const file = join(scratch, `pid-${(files += 1)}`)
  const controller = new AbortController()
  const env = { PATH: process.env.PATH, PID_FILE: file }
  const outcome = shell(script, { env }, controller.signal).then(
    ({ exitCode }) => `resolved with exit code ${exitCode}`,
    (error: Error) => error.message,
  )
  const readPid = () => {
    try {
      return Number(/^(\d+)\n/.exec(readFileSync(file, 'utf8'))?.[1] ?? 0)
    } catch {
      return 0
    }
  }
  const pid = await until(readPid)
  try {
    await sleep(100) // the script goes on to its own end or wait
    assert.ok(alive(pid), 'the grandchild runs before the abort')
    const start = performance.now()
    controller.abort(new Error('stop it'))
    const result = await Promise.race([outcome, sleep(60_000, 'did not settle', { ref: false })])
    const ms = performance.now() - start
    await sleep(50) // a SIGKILL that was sent takes a moment
    return { outcome: result, leftAlive: alive(pid), ms }
  } finally {
    if (alive(pid)) process.kill(pid, 'SIGKILL')
    await outcome
  }
}

describe('running a program', { skip: process.platform !== 'linux' }, () => {
  test('gives its exit code and both outputs, and a failure is a result', async () => {
    assert.deepEqual(await shell('echo out; echo err >&2'), {
      exitCode: 0,
      signal: null,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    assert.equal((await shell('exit 42')).exitCode, 42)
  })

  test('gives the signal that ended it', async () => {
    const { exitCode, signal } = await shell('kill -TERM $$')
    assert.deepEqual([exitCode, signal], [null, 'SIGTERM'])
  })

  test('passes every argument literally: there is no shell', async () => {
    const hostile = [
      '$(touch pwned)',
      '`id`',
      '; exit 1',
      '| cat',
      '> file',
      '*',
      '~',
      '$HOME',
      '"a\' b"',
      '\\',
      '',
      '-x',
      'a\nb',
    ]
    const result = await runProgram(
      process.execPath,
      ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...hostile],
      {
        cwd: scratch,
      },
    )
    assert.deepEqual(JSON.parse(result.stdout), hostile)
  })

  test('gives it its input, its folder and no environment but the given one', async () => {
    const env = { ONLY: 'this', PATH: process.env.PATH }
    const { stdout } = await shell('cat; pwd; echo "$ONLY-$HOME"', { input: 'in\n', cwd: scratch, env })
    assert.equal(stdout, `in\n${scratch}\nthis-\n`)
  })

  test('does not mind a program that does not read its input', async () => {
    assert.equal((await shell('exit 0', { input: 'x'.repeat(1_000_000) })).exitCode, 0)
  })

  test('gives what it says on stderr as it comes, too', async () => {
    const pieces: Buffer[] = []
    const { stderr } = await shell('echo one >&2; echo two >&2', { onStderr: (bytes) => pieces.push(bytes) })
    assert.equal(Buffer.concat(pieces).toString(), 'one\ntwo\n')
    assert.equal(stderr, 'one\ntwo\n')
  })

  test('keeps the end of a long output and not all of it', async () => {
    const { stdout } = await shell('head -c 3000000 /dev/zero | tr "\\0" x; echo end', { keepBytes: 100_000 })
    assert.ok(
      stdout.endsWith('xend\n') && stdout.length >= 100_000 && stdout.length < 200_000,
      `${stdout.length}`,
    )
  })

  test('keeps at most as many bytes as it was told', async () => {
    const { stdout, stderr } = await shell('printf 0123456789; printf abcdefghij >&2', { keepBytes: 4 })
    assert.deepEqual([stdout, stderr], ['6789', 'ghij'])
  })

  test('gives the first bytes of a long output where those are wanted', async () => {
    const script = 'echo start; head -c 3000000 /dev/zero | tr "\\0" x'
    const { stdout } = await shell(script, { keepBytes: 100_000, keep: 'first' })
    assert.equal(stdout.length, 100_000)
    assert.match(stdout, /^start\nx+$/)
  })

  test('does not start where the signal is aborted already', async () => {
    const file = join(scratch, 'started')
    await assert.rejects(shell(`touch ${file}`, {}, AbortSignal.abort(new Error('too late'))), /too late/)
    await sleep(50)
    assert.throws(() => readFileSync(file), { code: 'ENOENT' })
  })

  test('leaves no listener on the signal', async () => {
    const controller = new AbortController()
    for (let runs = 0; runs < 3; runs++) await shell('true', {}, controller.signal)
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  })
})

describe('aborting a program', { skip: process.platform !== 'linux', concurrency: true }, () => {
  test('ends all that it started, and rejects with the reason', async () => {
    const said = join(scratch, 'said')
    const helper = `trap "echo asked > ${said}; exit" TERM; while :; do sleep 0.1; done`
    const { outcome, leftAlive } = await aborted(`sh -c '${helper}' & echo $! > $PID_FILE; wait`)
    assert.equal(outcome, 'stop it')
    assert.equal(leftAlive, false)
    assert.equal(readFileSync(said, 'utf8'), 'asked\n', 'a helper was asked with SIGTERM first')
  })

  test('does not wait for a dead helper that nobody has reaped yet', async () => {
    const { outcome, ms } = await aborted('sleep 100 & echo $! > $PID_FILE; wait')
    assert.equal(outcome, 'stop it')
    assert.ok(ms < 1_800, `all were dead at once, but it took ${ms} ms`)
  })

  test('kills after 2 s what ignores SIGTERM', async () => {
    const { outcome, leftAlive, ms } = await aborted(
      "trap '' TERM; sleep 100 & echo $! > $PID_FILE; wait; wait",
    )
    assert.equal(outcome, 'stop it')
    assert.equal(leftAlive, false)
    assert.ok(ms >= 1900, `only ${ms} ms to end by itself`)
  })

  test('ends what a program left behind that has ended itself', async () => {
    const { outcome, leftAlive } = await aborted('sleep 100 & echo $! > $PID_FILE')
    assert.equal(outcome, 'stop it')
    assert.equal(leftAlive, false)
  })

  test('kills a helper that ignores SIGTERM when the program itself obeys', async () => {
    const helper = `sh -c 'trap "" TERM; while :; do sleep 0.1; done' & echo $! > $PID_FILE; wait`
    const { outcome, leftAlive } = await aborted(helper)
    assert.equal(outcome, 'stop it')
    assert.equal(leftAlive, false)
  })

  test('settles only after a helper is gone that has closed its outputs', async () => {
    const helper = `sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null 2>&1 & echo $! > $PID_FILE; wait`
    const { leftAlive } = await aborted(helper)
    assert.equal(leftAlive, false)
  })
})

describe('killing a tree', { skip: process.platform !== 'linux' }, () => {
  test('that has ended, or never began, is done', async () => {
    const child = startProgram('true', [], { stdio: 'ignore' })
    assert.deepEqual(await ended(child), [0, null])
    killTree(child, 'SIGKILL')
  })

  test('reaches no process outside of it', async () => {
    const [one, two] = [
      startProgram('sleep', ['100'], { stdio: 'ignore' }),
      startProgram('sleep', ['100'], { stdio: 'ignore' }),
    ]
    const endedOne = ended(one)
    killTree(one, 'SIGKILL')
    assert.deepEqual(await endedOne, [null, 'SIGKILL'])
    assert.ok(alive(two.pid ?? 0))
    const endedTwo = ended(two)
    killTree(two, 'SIGTERM')
    assert.deepEqual(await endedTwo, [null, 'SIGTERM'])
  })
})
