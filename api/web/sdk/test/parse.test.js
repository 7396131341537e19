import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameParser } from '../parse.js';

const TEXT = 'retry: 2000\n\n: ping\n\nid: 1\nevent: done\ndata: {"a":\ndata: 1}\r\n\r\nid: 7\n\nevent: progress\ndata: ä\n\ndata: cut';

test('frames come out the same however the stream is cut', () => {
  const whole = new FrameParser().push(TEXT);
  assert.deepEqual(whole, [
    { event: 'done', data: '{"a":\n1}', id: '1' },
    { event: 'progress', data: 'ä', id: null },
  ]);
  for (let size = 1; size < TEXT.length; size++) {
    const parser = new FrameParser();
    const frames = [];
    for (let at = 0; at < TEXT.length; at += size) frames.push(...parser.push(TEXT.slice(at, at + size)));
    assert.deepEqual(frames, whole, `cut every ${size}`);
    assert.equal(parser.lastId, '7');
  }
});
