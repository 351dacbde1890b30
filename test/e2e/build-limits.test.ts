import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createApp, followLog, readDeployment } from '../support/client.js'
import { cannotStartDaemon, DockerDaemon } from '../support/docker-daemon.js'
import { freshStep, TestRepository, webApp } from '../support/repository.js'
import { Installation } from '../support/server.js'

const CGROUPS = '/sys/fs/cgroup'
/** 128 MiB of text in a shell's variable. */
const GREEDY = 'x=a; i=0; while [ $i -lt 27 ]; do x="$x$x"; i=$((i+1)); done; echo it fits'

describe('a build that wants more memory than builds have', () => {
  async function endsOf(installation: Installation, name: string, steps: readonly string[]) {
    using repository = new TestRepository(webApp('page', steps))
    const { deploymentId } = await createApp(installation.port, { name, repoUrl: repository.url })
    const log = (await followLog(installation.port, deploymentId)).map((event) => event.text).join('')
    return { ...(await readDeployment(installation.port, deploymentId)), log }
  }

  function isKilled({ status, error, log }: Awaited<ReturnType<typeof endsOf>>): void {
    assert.equal(status, 'FAILED', log)
    assert.equal(error?.code, 'OUT_OF_MEMORY', JSON.stringify(error))
    assert.equal(error.phase, 'BUILDING')
    assert.match(error.message, /64 MiB \(BUILD_MEMORY_MIB\)/)
    assert.doesNotMatch(log, /^it fits$/m)
  }

  test('is killed with the classic builder, each build within its share', async () => {
    await using installation = await Installation.create()
    const env = { BUILDER: 'classic', BUILD_MEMORY_MIB: '128', BUILD_CPUS: '1', ENGINE_CONCURRENCY: '2' }
    await installation.start(env)
    const step = freshStep(
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max',
    )
    const told = await endsOf(installation, 'told', [step])
    assert.match(told.log, /^67108864\n50000\b/m)
    isKilled(await endsOf(installation, 'greedy', [freshStep(GREEDY)]))
  })

  const skip =
    cannotStartDaemon() ||
    (existsSync(join(CGROUPS, 'memory')) ? false : 'needs cgroups of version 1, as this engine has')
  test('is killed with BuildKit, all builds within one cgroup', { skip }, async () => {
    const parent = `longshore-test-${randomBytes(4).toString('hex')}`
    await using daemon = await DockerDaemon.start([`--cgroup-parent=/${parent}`])
    await using installation = await Installation.create()
    const env = { DOCKER_HOST: daemon.host, BUILD_CGROUP: `${parent}/buildkit`, BUILD_CPUS: '0.5' }
    await installation.start({ ...env, BUILD_MEMORY_MIB: '64', MIN_FREE_DISK_MIB: '0' })
    try {
      // The engine makes its cgroup with its first container.
      daemon.docker('run', '--rm', 'longshore-test/busybox:local', 'busybox', 'true')
      assert.equal((await endsOf(installation, 'modest', [freshStep('echo small')])).status, 'RUNNING')
      const read = (file: string) => readFileSync(join(CGROUPS, file), 'utf8').trim()
      assert.equal(read(`memory/${parent}/buildkit/memory.limit_in_bytes`), String(64 * 1024 * 1024))
      assert.equal(read(`cpu/${parent}/buildkit/cpu.cfs_quota_us`), '50000')
      assert.equal(read(`cpu/${parent}/buildkit/cpu.shares`), '256')
      isKilled(await endsOf(installation, 'greedy', [freshStep(GREEDY)]))
    } finally {
      await installation.processes[0]?.stop()
      const containers = daemon.docker('ps', '-aq').split('\n').filter(Boolean)
      if (containers.length > 0) daemon.docker('rm', '-f', ...containers)
      removeCgroups(parent)
    }
  })

  test('says that nothing is limited, once, where it cannot be', async () => {
    await using installation = await Installation.create()
    const server = await installation.start({ BUILD_CGROUP: 'longshore-test/none' })
    for (const name of ['one', 'two']) assert.equal((await endsOf(installation, name, [])).status, 'RUNNING')
    assert.equal(server.output.match(/no memory and CPU limits/g)?.length, 1)
  })
})

/** What a daemon with a cgroup of its own leaves behind. */
function removeCgroups(parent: string): void {
  for (const controller of readdirSync(CGROUPS)) {
    for (const path of [`${parent}/buildkit`, parent]) {
      const folder = join(CGROUPS, controller, path)
      if (existsSync(folder)) rmdirSync(folder)
    }
  }
}
