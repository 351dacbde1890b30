import type { BrowserContext, Page, Route } from 'playwright-core'
import { until } from './server.js'

/** A tab of examples/frontend, and what a test asks of it. */
export class BrowserTab {
  /** What its page threw. */
  readonly errors: string[] = []
  /** GraphQL operations that it sent by POST, oldest first. */
  readonly posted: string[] = []
  /** Messages that came on its WebSockets, oldest first. */
  readonly received: string[] = []

  private constructor(readonly page: Page) {
    page.on('pageerror', (error) => this.errors.push(String(error)))
    page.on('request', (request) => {
      if (request.method() !== 'POST') return
      this.posted.push((JSON.parse(request.postData() ?? '{}') as { operationName: string }).operationName)
    })
    page.on('websocket', (socket) =>
      socket.on('framereceived', ({ payload }) => this.received.push(payload.toString())),
    )
  }

  static async open(context: BrowserContext, url: string): Promise<BrowserTab> {
    const tab = new BrowserTab(await context.newPage())
    await tab.page.goto(url)
    return tab
  }

  /** Waits until the text of the page fits; fails with the text that it has. */
  async shows(text: RegExp): Promise<void> {
    let last = ''
    const look = async () => text.test((last = (await this.page.textContent('#root')) ?? ''))
    await until(look, 25).catch(() => {
      const events = this.received.filter((event) => !event.includes('pong')).slice(-5)
      throw new Error(
        `${text} is not on the page: ${last.slice(0, 1_000)}\nThe last events:\n${events.map((event) => event.slice(0, 1_000)).join('\n')}`,
      )
    })
  }

  /** Clicks a button or a link by its name. */
  async click(role: 'button' | 'link', name: string): Promise<void> {
    await this.page.getByRole(role, { name, exact: true }).click()
  }

  /** Answers its requests otherwise, until what it gives is called. */
  async intercept(handler: (route: Route) => Promise<void>): Promise<() => Promise<void>> {
    await this.page.route('**/graphql', handler)
    return () => this.page.unrouteAll({ behavior: 'wait' })
  }

  /** Marks the document: a full reload would lose the mark. */
  async mark(): Promise<void> {
    await this.page.evaluate('window.marked = true')
  }

  isMarked(): Promise<boolean> {
    return this.page.evaluate<boolean>('window.marked === true')
  }

  /** The chunks of the log that it shows, in order. */
  chunks(): Promise<{ seq: number; text: string }[]> {
    return this.page.evaluate(`[...document.querySelectorAll('[data-seq]')].map(
      (chunk) => ({ seq: Number(chunk.dataset.seq), text: chunk.textContent }))`)
  }

  /** Fields that are marked as wrong, and what they say. */
  wrongFields(): Promise<Record<string, string>> {
    return this.page.evaluate(`Object.fromEntries([...document.querySelectorAll('[aria-invalid=true]')].map(
      (field) => [field.name, document.getElementById(field.getAttribute('aria-describedby')).textContent]))`)
  }
}
