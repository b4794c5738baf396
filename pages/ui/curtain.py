"""A picture with a curtain: on its left the picture itself, on its right another, as far as the curtain is drawn.

Inline HTML, CSS and JS: drawing the curtain asks nobody. The slider is a real one, so arrow keys work.
"""

import base64
from typing import Final

import streamlit as st

_HTML: Final = """
<div class="curtain">
  <img class="under" draggable="false">
  <div class="over"><img draggable="false"></div>
  <div class="edge"></div>
</div>
<input type="range" min="0" max="1000" value="500">
"""

_CSS: Final = """
:host, .curtain { font-family: var(--st-font); color: var(--st-text-color); }
.curtain { position: relative; overflow: hidden; line-height: 0; cursor: ew-resize; touch-action: none;
  border-radius: var(--st-base-radius); }
.curtain img { width: 100%; height: auto; display: block; user-select: none; }
.over { position: absolute; inset: 0; clip-path: inset(0 0 0 50%); }
.edge { position: absolute; top: 0; bottom: 0; left: 50%; width: 2px; margin-left: -1px;
  background: #fff; box-shadow: 0 0 0 1px rgba(0, 0, 0, 0.5); pointer-events: none; }
input { width: 100%; margin: 0.5rem 0 0; accent-color: var(--st-primary-color); }
input:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_JS: Final = """
export default function ({ parentElement, data }) {
  const root = parentElement
  const box = root.querySelector('.curtain')
  const under = root.querySelector('.under')
  const layer = root.querySelector('.over')
  const over = layer.querySelector('img')
  const edge = root.querySelector('.edge')
  const slider = root.querySelector('input')
  if (under.src !== data.under) under.src = data.under
  if (over.src !== data.over) over.src = data.over
  under.alt = data.under_name
  over.alt = data.over_name
  slider.setAttribute('aria-label', data.under_name + ' | ' + data.over_name)
  const draw = () => {
    const share = slider.value / 10
    layer.style.clipPath = `inset(0 0 0 ${share}%)`
    edge.style.left = share + '%'
  }
  const follow = (event) => {
    if (event.type === 'pointermove' && !event.buttons) return
    const { left, width } = box.getBoundingClientRect()
    slider.value = Math.round(1000 * (event.clientX - left) / width)
    draw()
  }
  slider.oninput = draw
  box.onpointerdown = (event) => { box.setPointerCapture(event.pointerId); follow(event) }
  box.onpointermove = follow
  draw()
}
"""

_mount = st.components.v2.component("maskloop_curtain", html=_HTML, css=_CSS, js=_JS)


def show_curtain(under: bytes, over: bytes, *, key: str, under_name: str, over_name: str) -> None:
    """Two JPEGs of one size over each other; the second is seen right of the curtain."""
    data = {"under": _url(under), "over": _url(over), "under_name": under_name, "over_name": over_name}
    _mount(key=key, data=data)


def _url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
