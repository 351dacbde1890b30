import { setTimeout as sleep } from 'node:timers/promises'
import type { AppUnderTest, Scene } from './scene.js'

/** Asks an app all the time: through the router while a process is up, else its container. */
export class Visitor implements AsyncDisposable {
  /** Answers that a visitor of the app should not have got. */
  readonly failures: string[] = []
  answers = 0
  #left = false
  readonly #visiting: Promise<void>

  constructor(
    private readonly scene: Scene,
    private readonly app: AppUnderTest,
  ) {
    this.#visiting = this.#visit()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left = true
    await this.#visiting
  }

  async #visit(): Promise<void> {
    while (!this.#left) {
      const { up } = this.scene
      const problem = up ? await this.#ask(up) : await this.#askContainer()
      if (problem === null) this.answers++
      else if (problem !== '') this.failures.push(problem)
      await sleep(50)
    }
  }

  /** An empty text: the process died over it. */
  async #ask(up: object): Promise<string | null> {
    const answer = await this.scene.ask(this.app).catch((error: unknown) => error as Error)
    if (!(answer instanceof Error)) {
      return answer.status === 200 ? null : `${answer.status} ${answer.body.slice(0, 200)}`
    }
    // Its end is heard of later than its connections, where the machine is busy much later.
    for (let tries = 0; tries < 600 && this.scene.up === up; tries++) await sleep(50)
    return this.scene.up === up ? answer.message : ''
  }

  /** Twice, since traffic may move between the look and the question. */
  async #askContainer(): Promise<string | null> {
    for (let tries = 1; ; tries++) {
      try {
        await this.scene.askContainer(this.app)
        return null
      } catch (error) {
        if (tries === 2) return (error as Error).message
      }
    }
  }
}
