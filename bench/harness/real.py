# SPDX-License-Identifier: MIT
class RealPrograms:
    def __init__(self,*a): self.programs=[]
    def cost(self): return 0
