/**
 * A frame of an event stream.
 * @typedef {{event: string, data: string, id: string | null}} Frame
 */

/** Takes a stream of server-sent events apart, however its bytes are cut. */
export class FrameParser {
  #rest = '';

  /** The last id that came, also in a frame without data. */
  lastId = /** @type {string | null} */ (null);

  /**
   * @param {string} text
   * @returns {Frame[]} Frames that are complete now.
   */
  push(text) {
    const blocks = (this.#rest + text).replaceAll('\r\n', '\n').split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.map((block) => this.#read(block)).filter(({ data }) => data !== '');
  }

  /** @param {string} block */
  #read(block) {
    const frame = { event: 'message', data: '', id: /** @type {string | null} */ (null) };
    for (const line of block.split('\n')) {
      const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (field === 'event') frame.event = value;
      else if (field === 'data') frame.data += (frame.data && '\n') + value;
      else if (field === 'id') frame.id = this.lastId = value;
    }
    return frame;
  }
}
