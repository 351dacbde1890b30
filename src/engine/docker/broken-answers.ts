import type Docker from 'dockerode'

/**
 * Makes a call fail at once whose answer breaks off in the middle. docker-modem listens for the end of an answer only,
 * so that such a call would be waited for until its time-out, and whatever it holds with it: so each answer is taken
 * as a stream, which does say so, and read here.
 */
export function failBrokenAnswers({ modem }: Docker): void {
  const dial = modem.dial.bind(modem)
  modem.dial = (options, callback) => {
    if (options.isStream || options.hijack || !callback) return dial(options, callback)
    dial({ ...options, isStream: true }, (error, answer) => {
      if (error) return callback(error, answer)
      read(answer as AsyncIterable<Buffer>).then(
        (body) => callback(null, body),
        (broken: unknown) => callback(broken as Error, null),
      )
    })
  }
}

/** JSON is parsed; what is none is given as it came, as docker-modem does. */
async function read(answer: AsyncIterable<Buffer>): Promise<object> {
  const pieces: Buffer[] = []
  for await (const piece of answer) pieces.push(piece)
  const bytes = Buffer.concat(pieces)
  try {
    return (JSON.parse(bytes.toString('utf8')) as object | null) ?? bytes
  } catch {
    return bytes
  }
}
