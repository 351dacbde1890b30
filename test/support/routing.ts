import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Disposal } from '../../src/disposal.js'
import { createId } from '../../src/engine/names.js'
import { openProcesses, type TestProcess } from './engine.js'

/** An app `shop` on a database of its own, whose versions are real servers. A router is what the test brings. */
export interface Shop extends AsyncDisposable {
  readonly process: TestProcess
  readonly appId: string
  readonly stageId: string
  /** A deployment that has passed its checks and waits for traffic; without an answer nobody listens at its port. */
  add(answer: ((incoming: IncomingMessage, response: ServerResponse) => void) | number): Promise<string>
  /** Moves traffic in the database, as the engine does: in one transaction. */
  switchTo(id: string): Promise<void>
}

export async function openShop(): Promise<Shop> {
  const opened = new Disposal()
  const [process] = opened.use(await openProcesses(1)).processes
  if (!process) throw new Error('no process')
  const { database, commands } = process
  const app = await commands.apps.create({
    name: 'shop',
    repoUrl: 'https://git.invalid/x.git',
    deploy: false,
  })
  const [stage] = await database.query<{ id: string }[]>('SELECT id FROM stage WHERE app_id = $1', [app.id])
  return {
    process,
    appId: app.id,
    stageId: stage?.id ?? '',
    async add(answer) {
      let port = answer
      if (typeof port !== 'number') {
        const server = createServer(answer as Exclude<typeof answer, number>)
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        opened.defer(() => server.close().closeAllConnections())
        port = (server.address() as AddressInfo).port
      }
      const id = createId()
      await database.query(
        `INSERT INTO deployment (id, app_id, stage_id, status, trigger, addresses, port)
         VALUES ($1, $2, $3, 'RETIRED', 'MANUAL', ARRAY['127.0.0.1'], $4)`,
        [id, app.id, stage?.id, port],
      )
      return id
    },
    switchTo: (id) =>
      database.transaction(async (manager) => {
        await manager.query(`UPDATE deployment SET status = 'RETIRED' WHERE status = 'RUNNING'`)
        await manager.query(`UPDATE deployment SET status = 'RUNNING' WHERE id = $1`, [id])
        await manager.query(
          'UPDATE stage SET current_deployment_id = $1, route_epoch = route_epoch + 1 WHERE app_id = $2',
          [id, app.id],
        )
      }),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

export interface Answer {
  readonly status: number
  readonly body: string
  readonly location: string | null
}

export function askHost(port: number, host: string, path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: { host }, agent: false }, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => (body += text))
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body, location: answer.headers.location ?? null }),
      )
    })
    asked.on('error', reject).end()
  })
}
