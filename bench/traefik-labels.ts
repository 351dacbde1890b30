import { ENGINE_HOST } from '../test/support/docker.js'
import type { LoadReport } from '../test/support/load-process.js'
import { failuresOf, sendLoad } from '../test/support/load.js'
import { fetchHost, until } from '../test/support/server.js'
import { scripted, type Serving, serving } from '../test/support/serving.js'
import { findTraefik, startLabelTraefik } from '../test/support/traefik-process.js'
import { Longshore } from './longshore.js'
import { ms, printTable, quantile, rounds, say } from './report.js'

const REDEPLOYMENTS = 4
const PER_SECOND = 150
const HOST = 'load.localhost'
const ENV = { ROUTER: 'traefik-labels', WATCH_SECONDS: '2', DRAIN_SECONDS: '5' }

/** As docs/routing.md has it. */
const SETTINGS = [
  '--providers.providersThrottleDuration=100ms',
  '--serversTransport.forwardingTimeouts.dialTimeout=250ms',
]
const script = (onTerm: string) =>
  `busybox httpd -f -p 8080 -h /www & server=$!; trap "${onTerm}; exit 0" TERM; wait`
/** Takes no new connection, and ends when what is under way has been answered. */
const ENDS_WELL = script('kill $server; busybox sleep 2')
/** Before that it goes on serving until Traefik knows. */
const LEAVES_FIRST = script('busybox touch /leaving; busybox sleep 4; kill $server; busybox sleep 2')
const SAYS_WELL =
  'HEALTHCHECK --interval=1s --retries=1 --start-period=30s CMD [ ! -e /leaving ] && busybox wget -qO /dev/null http://127.0.0.1:8080/'

/** What an app does on SIGTERM. */
const APPS: Readonly<Record<string, (page: string) => Record<string, string>>> = {
  'ends well': (page) => scripted(ENDS_WELL, page),
  'fails its HEALTHCHECK first': (page) => scripted(LEAVES_FIRST, page, SAYS_WELL),
}

/** Requests through a real Traefik that reads labels, while an app is deployed again and again. */
export async function run(count: number): Promise<void> {
  const file = findTraefik()
  if (file === null) return say('  needs Traefik: set TRAEFIK_BIN, or put one on the PATH')
  for (const _round of rounds(count)) {
    for (const [name, files] of Object.entries(APPS)) print(name, await measure(file, files))
  }
}

async function measure(file: string, files: (page: string) => Record<string, string>): Promise<LoadReport> {
  await using longshore = await Longshore.create()
  await longshore.start(ENV)
  const [instance] = await longshore.rows<{ id: string }>('SELECT id FROM instance')
  await using traefik = await startLabelTraefik(file, ENGINE_HOST, instance?.id ?? '', SETTINGS)
  await using app = await serving(longshore.installation, 'load', files('v0'), {})
  await until(async () => (await fetchHost(traefik.port, HOST)).status === 200)
  const load = { port: traefik.port, host: HOST, perSecond: PER_SECOND, seconds: 1, sockets: 0, echoHost: '' }
  const [report] = await sendLoad(load, redeploy(longshore, app, files))
  return report
}

/** Until the last version but one is gone. */
async function redeploy(
  { installation }: Longshore,
  app: Serving,
  files: (page: string) => Record<string, string>,
): Promise<void> {
  for (let turn = 1; turn <= REDEPLOYMENTS; turn++) {
    const { id, end, log } = await app.next(files(`v${turn}`))
    if (end !== 'RUNNING') throw new Error(log)
    await until(async () => (await installation.containers()).join() === `load-${id}`)
  }
}

function print(name: string, report: LoadReport): void {
  const took = report.answers.map(({ sentAt, endedAt }) => endedAt - sentAt)
  const failed = report.answers.filter(({ failure }) => failure !== null).length
  const strange = report.answers.filter(({ page }) => page !== null && !/^v\d$/.test(page)).length
  printTable(
    `An app that ${name}: ${REDEPLOYMENTS} redeployments`,
    ['', ''],
    [
      ['requests', `${report.answers.length}`],
      ['  failed', `${failed}`],
      ['  answered by another app', `${strange}`],
      ['  p50, p99, slowest, ms', [0.5, 0.99, 1].map((part) => ms(quantile(took, part))).join(', ')],
    ],
  )
  for (const [words, times] of failuresOf(report)) say(`  ${times} × ${words}`)
}
