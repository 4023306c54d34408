"""Experiments that train with the library: `lpgd run NAME`, `lpgd compare NAME`.

They need the extra ``lpgd[experiments]`` and carry no promise of a stable interface.
"""
